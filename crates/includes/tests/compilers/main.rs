//! Small trees whose closures are compared with what gcc and clang themselves list (`-E -MD`).

mod builtins;
mod bytes;
mod comments;
mod conditions;
mod definitions;
mod inputs;
mod libcxx;
mod names;
mod options;
mod pragmas;
mod reference;
