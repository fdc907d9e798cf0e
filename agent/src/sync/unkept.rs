//! Who keeps a book where the agent cannot run: nobody.

use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

use sigquit_dump::LockKind;

#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    #[expect(dead_code, reason = "there is no dump")]
    pub kind: LockKind,
    #[expect(dead_code, reason = "there is no dump")]
    pub type_name: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Places {
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "of async locks only"))]
    One,
    #[expect(dead_code, reason = "there is no dump")]
    Several(usize),
}

#[derive(Debug)]
pub(crate) struct Book(());

#[derive(Debug)]
pub(crate) struct Keeper(());

impl Keeper {
    pub fn new(
        _: About,
        _: Option<Box<str>>,
        _: Places,
        _: Option<u64>,
        _: &'static Location<'static>,
    ) -> Keeper {
        Keeper(())
    }

    pub fn always_shown(self) -> Keeper {
        self
    }

    pub fn set_capacity(&self, _: u64) {}

    #[cfg(feature = "tokio")]
    #[inline]
    pub fn hold_alone(&self, _: &'static Location<'static>) -> Holding<&Book> {
        Holding(PhantomData)
    }

    #[cfg(feature = "tokio")]
    #[inline]
    pub fn hold(&self, _: &'static Location<'static>) -> Holding<&Book> {
        Holding(PhantomData)
    }

    pub fn hold_owned(&self, _: &'static Location<'static>) -> Holding<Arc<Book>> {
        Holding(PhantomData)
    }

    pub fn wait(&self, _: bool, _: usize) -> Waiting {
        Waiting(())
    }
}

/// Somebody holds it.
#[derive(Debug)]
pub(crate) struct Holding<B>(PhantomData<B>);

impl<B> Drop for Holding<B> {
    fn drop(&mut self) {}
}

/// Somebody waits for it.
#[derive(Debug)]
pub(crate) struct Waiting(());

impl Drop for Waiting {
    fn drop(&mut self) {}
}
