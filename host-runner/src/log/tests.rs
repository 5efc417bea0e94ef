//! Records on their way, and the names of files.

use super::*;

fn record() -> Record {
    Record {
        level: Level::Info,
        tier: 7,
        origin: String::from("orchestrate"),
        place: Some(Place { file: String::from("aicpu-executor/src/x.rs"), line: 12 }),
        aicpu_thread: Some(0),
        callable: Some(3),
        text: String::from("a \"text\"\n of two lines"),
    }
}

#[test]
fn a_record_survives_the_way_to_another_process() {
    for record in [record(), Record { place: None, aicpu_thread: None, callable: None, ..record() }]
    {
        let sent = serde_json::to_vec(&record).expect("plain data");
        assert_eq!(serde_json::from_slice::<Record>(&sent).expect("as sent"), record);
    }
}

#[test]
fn a_severity_that_is_none_is_refused() {
    let sent = serde_json::to_string(&record()).expect("plain data");
    let damaged = sent.replace("\"level\":1", "\"level\":4");
    let error = serde_json::from_str::<Record>(&damaged).expect_err("no severity");
    assert!(error.to_string().contains("4 is no severity"), "{error}");
}

#[test]
fn files_are_named_from_the_project_on() {
    for (file, expected) in [
        ("aicpu-executor/src/log.rs", "aicpu-executor/src/log.rs"),
        ("/x/aicpu-executor/y/aicpu-executor/linux/src/a.rs", "aicpu-executor/linux/src/a.rs"),
        ("simpler-rs/aicpu-executor/src/log.rs", "aicpu-executor/src/log.rs"),
        ("elsewhere.rs", "elsewhere.rs"),
    ] {
        assert_eq!(in_project(file), expected);
    }
}
