//! What is in an object file, as binutils read it.

use crate::programs::command;
use crate::run::run;
use crate::tree::Tree;

/// An object file, for binutils to read.
#[derive(Debug)]
pub struct Object(Tree);

impl Object {
    /// `content` is the whole file.
    pub fn new(content: &[u8]) -> Self {
        let tree = Tree::new();
        tree.write("o", content);
        Self(tree)
    }

    /// The file without its debug information.
    pub fn without_debug_info(&self) -> Vec<u8> {
        let mut objcopy = command("objcopy");
        objcopy.args(["--strip-debug", "o", "stripped"]);
        run(objcopy.current_dir(self.0.path())).expect_success();
        std::fs::read(self.0.join("stripped")).expect("objcopy has written it")
    }

    fn readelf(&self, option: &str) -> String {
        let done = run(command("readelf").arg(option).arg(self.0.join("o")));
        done.expect_success().text().0
    }

    /// Whether it was compiled with `-g`.
    pub fn has_debug_info(&self) -> bool {
        self.readelf("--sections").contains(".debug_info")
    }

    /// Whether both are compiled from the same source in the same place. What else debug
    /// information holds tells of how a file was preprocessed, and may differ.
    pub fn is_same(&self, other: &Self) -> bool {
        self.has_debug_info()
            && self.without_debug_info() == other.without_debug_info()
            && self.places() == other.places()
    }

    /// Name of the source and working folder, as debug information has them.
    pub fn places(&self) -> Vec<String> {
        let info = self.readelf("--debug-dump=info");
        let of_unit = info
            .lines()
            .skip_while(|line| !line.contains("DW_TAG_compile_unit"));
        let values = of_unit
            .filter(|line| line.contains("DW_AT_name") || line.contains("DW_AT_comp_dir"))
            .take(2);
        let text = |line: &str| line.rsplit(": ").next().unwrap_or(line).to_owned();
        values.map(text).collect()
    }
}
