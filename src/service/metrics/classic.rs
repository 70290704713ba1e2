//! Prometheus' older text format, from the newer one.

/// The same text in the older format, which every reader understands: there, the name of a counter
/// always has its `_total`, and that of an info its `_info`.
#[must_use]
pub fn classic(openmetrics: &str) -> String {
    let mut kinds = std::collections::HashMap::new();
    for line in openmetrics.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            kinds.insert(name, kind);
        }
    }
    let mut text = String::with_capacity(openmetrics.len() + 1024);
    for line in openmetrics.lines() {
        let comment = ["# HELP ", "# TYPE "]
            .iter()
            .find_map(|start| Some((start, line.strip_prefix(start)?)));
        let Some((start, (name, rest))) =
            comment.and_then(|(start, rest)| Some((start, rest.split_once(' ')?)))
        else {
            if !line.starts_with('#') {
                text.push_str(line);
                text.push('\n');
            }
            continue;
        };
        let (end, known) = match kinds.get(name) {
            Some(&"counter") => ("_total", rest),
            Some(&"info") => ("_info", rest),
            _ => ("", rest),
        };
        let rest = if *start == "# TYPE " && known == "info" {
            "gauge"
        } else {
            known
        };
        text.push_str(&format!("{start}{name}{end} {rest}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_names_counters_and_infos_in_full() {
        let modern = "# HELP a_b Things.\n# TYPE a_b counter\na_b_total{c=\"d # e\"} 1\n# HELP v Version.\n\
                      # TYPE v info\nv_info{version=\"1\"} 1\n# HELP g G.\n# TYPE g gauge\n# UNIT g bytes\ng 2\n# EOF\n";
        let old = "# HELP a_b_total Things.\n# TYPE a_b_total counter\na_b_total{c=\"d # e\"} 1\n# HELP v_info Version.\n\
                   # TYPE v_info gauge\nv_info{version=\"1\"} 1\n# HELP g G.\n# TYPE g gauge\ng 2\n";
        assert_eq!(classic(modern), old);
    }
}
