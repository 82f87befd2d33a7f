//! Questions that system headers and common libraries ask of compilers: asked at once with the first facts, so
//! that most builds start one process for each set of options. A question that is missing here costs one more.

use std::sync::LazyLock;

const TEXT: &str = include_str!("stock_questions.txt");

/// The questions, as `facts` spells them.
pub(crate) static STOCK: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut function = "";
    let mut questions = Vec::new();
    for word in TEXT
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
    {
        match word.strip_suffix(':') {
            Some(name) => function = name,
            None => questions.push(format!("{function}({word})")),
        }
    }
    questions
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_calls_and_each_is_there_once() {
        assert!(STOCK.contains(&"__has_attribute(__used__)".to_owned()));
        let mut sorted = STOCK.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), STOCK.len());
        assert!(
            STOCK
                .iter()
                .all(|q| q.starts_with("__") && q.ends_with(')') && !q.starts_with('('))
        );
    }
}
