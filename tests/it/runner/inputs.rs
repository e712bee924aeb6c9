//! Inputs as the runner delivers them, and what their typed readers take and refuse.

use std::time::Duration;

use proptest::prelude::*;
use touchdown::runner::env::Env;
use touchdown::runner::inputs::Inputs;
use touchdown::runner::mistake::Mistake;

use super::env;

fn one(value: &str) -> Inputs {
    Inputs::of(&env(&[("INPUT_X", value)]))
}

fn told(mistake: Result<impl std::fmt::Debug, Mistake>) -> String {
    mistake.expect_err("it is a mistake").to_string()
}

#[test]
fn inputs_arrive_in_capitals_with_hyphens_as_they_are_and_empty_ones_are_unset() {
    let inputs = Inputs::of(&env(&[
        ("INPUT_HEALTH-PATH", " /up \n"),
        ("INPUT_SERVICE", ""),
        ("INPUT_REGION", " \t\n"),
        ("INPUTS", "no"),
        ("HEALTH-URL", "no"),
    ]));
    assert_eq!(inputs.text("health-path"), Some("/up"));
    assert_eq!((inputs.text("service"), inputs.text("region")), (None, None));
    assert_eq!(inputs.iter().count(), 1);
}

#[test]
fn only_the_six_yaml_booleans_are_booleans() {
    for (text, value) in [("true", true), ("True", true), ("TRUE", true), ("false", false), ("False", false), ("FALSE", false)] {
        assert_eq!(one(text).boolean("x"), Ok(Some(value)));
    }
    assert_eq!(one("").boolean("x"), Ok(None));
    for text in ["yes", "no", "on", "1", "0", "tRue", "${{ inputs.x }}"] {
        assert_eq!(told(one(text).boolean("x")), format!("x is {text:?}, not a boolean: write true or false"));
    }
}

#[test]
fn durations_need_their_unit() {
    assert_eq!(one("30s").duration("x"), Ok(Some(Duration::from_secs(30))));
    assert_eq!(one("1h 30m").duration("x"), Ok(Some(Duration::from_secs(5400))));
    assert_eq!(one("250ms").duration("x"), Ok(Some(Duration::from_millis(250))));
    assert_eq!(told(one("45").duration("x")), r#"x is "45", a number without a unit: write 45s"#);
    assert_eq!(told(one("99999999999").duration("x")), r#"x is "99999999999", a number without a unit: write 30s"#);
    for text in ["soon", "-5s", "5 parsecs", "30s;rm", "18446744073709551616s", "١s"] {
        let wanted = format!("x is {text:?}, not a duration: write a number with a unit, such as 30s or 5m");
        assert_eq!(told(one(text).duration("x")), wanted);
    }
}

#[test]
fn whole_numbers_stay_within_their_range() {
    assert_eq!(one("10").integer("x", 1..=10), Ok(Some(10)));
    assert_eq!(told(one("11").integer("x", 1..=10)), r#"x is "11", out of range: write a whole number from 1 to 10"#);
    for text in ["-1", "+1", "1.0", "1e3", "ten", "99999999999999999999"] {
        assert_eq!(told(one(text).integer("x", 1..=10)), format!("x is {text:?}, not a whole number: write a whole number from 1 to 10"));
    }
}

#[test]
fn lists_are_lines_without_the_empty_ones() {
    assert_eq!(one("\n a \r\n\n  b\nc d\n").list("x"), ["a", "b", "c d"]);
    assert!(one("").list("x").is_empty());
}

#[test]
fn pairs_are_split_at_the_first_equals_sign() {
    let pairs = one("A=1\n\n B = two words \nC=a=b\nD=\n").pairs("x").unwrap();
    let wanted = [("A", "1"), ("B", "two words"), ("C", "a=b"), ("D", "")];
    assert_eq!(pairs, wanted.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

#[test]
fn wrong_pairs_are_all_told_and_no_value_is_shown() {
    let mistakes = one("A=1\nhunter2-in-the-clear\n=hunter2\nA=hunter2\nB=2").pairs("x").unwrap_err();
    let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    x has no = in its line 2: write KEY=VALUE, one a line
    x has nothing before the = in its line 3: write KEY=VALUE, one a line
    x names "A" twice, again in its line 4: keep one of the two lines
    "#);
}

#[test]
fn an_unknown_input_is_answered_with_the_nearest_one() {
    let inputs = Inputs::of(&env(&[("INPUT_HEALTH_PATH", "/"), ("INPUT_ZZZ", "1"), ("INPUT_REGION", "r"), ("INPUT_OLD", "")]));
    let told: Vec<String> = inputs.unknown(&["health-path", "region"]).iter().map(ToString::to_string).collect();
    assert_eq!(told, ["health_path is no setting: write health-path", "zzz is no setting: remove it"]);
}

#[test]
fn one_of_a_few_words_is_taken_letter_by_letter() {
    let known = ["wait", "supersede", "fail"];
    assert_eq!(one("fail").get("x").unwrap().one_of(&known), Ok("fail"));
    let mistake = one("supercede").get("x").unwrap().one_of(&known).unwrap_err();
    assert_eq!(mistake.nearest.as_deref(), Some("supersede"));
    assert_eq!(mistake.to_string(), r#"x is "supercede", not known: write one of wait, supersede, fail"#);
}

#[test]
fn flags_are_inputs_too_and_the_first_of_a_name_counts() {
    let inputs: Inputs = [("region", "a"), ("region", "b"), ("cluster", "")].into_iter().collect();
    assert_eq!((inputs.text("region"), inputs.text("cluster")), (Some("a"), None));
}

proptest! {
    #[test]
    fn no_value_makes_a_reader_panic_and_no_mistake_is_long(name in "\\PC{0,40}", value in any::<String>()) {
        let env: Env = [(format!("INPUT_{name}"), value.clone()), ("INPUT_X".to_owned(), value)].into_iter().collect();
        let inputs = Inputs::of(&env);
        let mistakes = [
            inputs.boolean("x").err(),
            inputs.duration("x").err(),
            inputs.integer("x", 1..=10).err(),
            inputs.get("x").and_then(|written| written.one_of(&["wait", "fail"]).err()),
        ];
        let all = mistakes.into_iter().flatten().chain(inputs.unknown(&["x"])).chain(inputs.pairs("x").err().into_iter().flatten());
        for mistake in all {
            prop_assert!(mistake.to_string().len() < 1000, "{mistake}");
        }
        prop_assert!(inputs.list("x").iter().all(|entry| !entry.is_empty() && !entry.contains('\n') && entry.trim() == entry));
    }

    #[test]
    fn every_pair_that_is_written_is_read(pairs in prop::collection::btree_map("[A-Z_]{1,12}", "[!-~]{0,20}", 0..8)) {
        let text: String = pairs.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        prop_assert_eq!(one(&text).pairs("x").unwrap(), pairs.into_iter().collect::<Vec<_>>());
    }
}
