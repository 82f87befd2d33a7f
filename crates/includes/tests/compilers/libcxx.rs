//! clang's own C++ library: each of its headers pushes and pops macros by a macro in text.

use crate::reference::{Outcome, Tree};

#[test]
fn units_of_libcxx_have_the_closures_that_clang_sees() {
    let groups = [
        "vector map algorithm",
        "regex filesystem thread",
        "iostream functional memory",
        "random valarray chrono",
    ];
    for group in groups {
        let main: String = group
            .split(' ')
            .map(|header| format!("#include <{header}>\n"))
            .collect();
        let tree = Tree::new(&[("a.cc", &main)]);
        for standard in ["c++11", "c++14", "c++17", "c++20"] {
            let line = format!("clang++ -stdlib=libc++ -std={standard} -c a.cc");
            match tree.compare(&line) {
                Outcome::Same(files) => {
                    let is_libcxx =
                        |file: &std::path::PathBuf| file.to_string_lossy().contains("/c++/v1/");
                    assert!(
                        files.iter().any(is_libcxx),
                        "{line}: another library was used"
                    );
                }
                Outcome::Refused(refusal) => panic!("{group}: {line}: {refusal}"),
            }
        }
    }
}
