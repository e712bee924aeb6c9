//! The binary: `touchdown`, and `touchdown-post` as the post step.

fn main() {}
