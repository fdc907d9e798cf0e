//! Checks JSON against schemas: as much of JSON Schema as these use. A
//! keyword that is not known here fails the check, so that none is passed over in silence.

use serde_json::Value;

/// The published schema of the report.
const REPORT: &str = include_str!("../../schema/report-1.schema.json");

/// What in a report breaks the published schema, each with its place; empty when nothing does.
pub fn violations(report: &Value) -> Vec<String> {
    violations_of(REPORT, report)
}

/// What in a value breaks a schema, each with its place; empty when nothing does.
pub fn violations_of(schema: &str, value: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(schema).expect("the schema is JSON");
    let mut checker = Checker { root: &schema, violations: Vec::new() };
    checker.check(&schema, value, "");
    checker.violations
}

struct Checker<'a> {
    root: &'a Value,
    violations: Vec<String>,
}

impl<'a> Checker<'a> {
    fn check(&mut self, schema: &'a Value, value: &Value, place: &str) {
        for (keyword, rule) in schema.as_object().expect("a schema is an object") {
            if !self.holds(keyword, rule, schema, value, place) {
                self.violations.push(format!("{place}: {value} breaks {keyword} {rule}"));
            }
        }
    }

    fn holds(
        &mut self,
        keyword: &str,
        rule: &'a Value,
        schema: &'a Value,
        value: &Value,
        place: &str,
    ) -> bool {
        match keyword {
            "$schema" | "title" | "description" | "$defs" | "definitions" => true,
            "$ref" => {
                let pointer = rule.as_str().and_then(|at| at.strip_prefix('#'));
                let there = pointer.and_then(|at| self.root.pointer(at));
                self.check(there.expect("a reference leads somewhere"), value, place);
                true
            }
            "const" => value == rule,
            "enum" => rule.as_array().is_some_and(|values| values.contains(value)),
            "type" => is_of_type(rule, value),
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
            "minLength" => value.as_str().is_none_or(|text| !text.is_empty()),
            "pattern" => value.as_str().is_none_or(|text| matches(rule.as_str().unwrap(), text)),
            "required" => value.as_object().is_none_or(|object| {
                rule.as_array()
                    .unwrap()
                    .iter()
                    .all(|key| object.contains_key(key.as_str().unwrap()))
            }),
            "properties" => self.each_property(rule, value, place),
            "additionalProperties" => {
                assert!(schema.get("properties").is_none(), "both are not known here");
                for (key, value) in value.as_object().into_iter().flatten() {
                    self.check(rule, value, &format!("{place}/{key}"));
                }
                true
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    self.check(rule, item, &format!("{place}/{index}"));
                }
                true
            }
            "anyOf" => rule.as_array().unwrap().iter().any(|rule| {
                let mut alone = Checker { root: self.root, violations: Vec::new() };
                alone.check(rule, value, place);
                alone.violations.is_empty()
            }),
            unknown => panic!("the schema uses {unknown}, which this check does not know"),
        }
    }

    /// Checks the fields that the schema names. A field that it does not name is a mistake here,
    /// though not for the schema: what we write is to be documented.
    fn each_property(&mut self, rules: &'a Value, value: &Value, place: &str) -> bool {
        for (key, value) in value.as_object().into_iter().flatten() {
            match rules.get(key) {
                Some(rule) => self.check(rule, value, &format!("{place}/{key}")),
                None => self.violations.push(format!("{place}/{key} is not in the schema")),
            }
        }
        true
    }
}

fn is_of_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().expect("a type is a name") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        unknown => panic!("no type {unknown}"),
    };
    rule.as_array().map_or_else(|| is(rule), |names| names.iter().any(is))
}

/// The patterns of the schema: a letter and a number, a dump's id, a name in kebab case.
fn matches(pattern: &str, text: &str) -> bool {
    let number = |text: &str| text.parse::<u32>().is_ok_and(|number| number > 0);
    let numbered = |letter: char| text.strip_prefix(letter);
    match pattern {
        "^p[1-9][0-9]*$" => numbered('p').is_some_and(number),
        "^f[1-9][0-9]*$" => numbered('f').is_some_and(number),
        "^c[1-9][0-9]*$" => numbered('c').is_some_and(number),
        "^k[1-9][0-9]*$" => numbered('k').is_some_and(number),
        r"^p[1-9][0-9]*\.[1-9][0-9]*$" => numbered('p')
            .and_then(|rest| rest.split_once('.'))
            .is_some_and(|(process, dump)| number(process) && number(dump)),
        "^[a-z]+(-[a-z]+)*$" => text
            .split('-')
            .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase())),
        unknown => panic!("the pattern {unknown} is not known here"),
    }
}
