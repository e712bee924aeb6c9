//! Names, sources and tag rules of any content: what is read is read back the same, and every tag that is made is one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use touchdown::image::reference::{Reference, Source, checked_tag};
use touchdown::image::tags::promotion::Promotion;
use touchdown::image::tags::{Context, Rules};

fuzz_target!(|input: (&str, &str)| {
    let (text, reference) = input;
    if let Ok(read) = Reference::parse(text) {
        assert_eq!(Reference::parse(&read.to_string()).unwrap(), read);
    }
    if let Ok(read) = Source::parse(text) {
        assert_eq!(Source::parse(&read.to_string()).unwrap(), read);
    }
    let _ = Promotion::parse(text);
    let context =
        Context { reference: reference.to_owned(), commit: "860c1904a1ce19322e91ac35af1ab07466440c37".to_owned(), ..Context::default() };
    if let Ok(rules) = Rules::parse(text.lines())
        && let Ok(tags) = rules.expand(&context)
    {
        assert!(tags.names.iter().all(|name| checked_tag(name).is_ok()));
    }
});
