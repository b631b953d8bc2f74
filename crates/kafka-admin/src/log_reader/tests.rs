//! Which of the wanted offsets are missing, and how that is said. Pure.

use super::*;

#[test]
fn a_start_before_the_log_is_missing_and_one_inside_is_not() {
    let missing = |start: Start, wanted| missing_at_start(&start, 0, wanted, 4428);
    assert_eq!(missing(Start::Offset(4000), Some(4000)), Some(Some(4000)));
    assert_eq!(missing(Start::Offset(4428), Some(4428)), None);
    assert_eq!(missing(Start::Beginning, None), Some(Some(0)));
    assert_eq!(missing(Start::Last(10_000), Some(4428)), None);
    let offsets = BTreeMap::from([(0, 4427)]);
    assert_eq!(
        missing(Start::Offsets(offsets), Some(4427)),
        Some(Some(4427))
    );
    // All records of that time and later are in the log, or the log begins after that time.
    assert_eq!(missing(Start::Time(1), Some(5000)), None);
    assert_eq!(missing(Start::Time(1), Some(4428)), Some(None));
    assert_eq!(missing_at_start(&Start::Time(1), 0, Some(0), 0), None);
    assert_eq!(missing_at_start(&Start::Beginning, 0, None, 0), None);
}

#[test]
fn the_text_names_the_deleted_offsets() {
    let text = |from, log_start| {
        let missing = MissingOffsets {
            topic: "orders".to_owned(),
            partition: 1,
            from,
            log_start,
        };
        missing.to_string()
    };
    let expected = "orders[1]: offsets 4000 to 4427 were deleted; the log begins at offset 4428";
    assert_eq!(text(Some(4000), 4428), expected);
    assert!(text(Some(4427), 4428).starts_with("orders[1]: offset 4427 was deleted;"));
    assert!(text(Some(9), 0).contains("offset 9 does not exist any more"));
    assert!(text(None, 4428).contains("may have been deleted"));
}
