//! Report -> text or JSON. Computes nothing: what is not in the report is not in the output.
