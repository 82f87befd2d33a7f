//! Small trees whose closures are compared with what gcc and clang themselves list (`-E -MD`).

mod pragmas;
mod reference;
