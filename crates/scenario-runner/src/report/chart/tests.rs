use super::*;

fn chart(points: Points) -> Chart<'static> {
    Chart {
        about: "lag",
        lines: vec![Drawn {
            name: "<g>".to_owned(),
            points,
            dashed: false,
        }],
        marks: vec![(2.0, "<three> members".to_owned())],
        steps: &[],
        until: 10.0,
    }
}

fn paths(svg: &str) -> Vec<&str> {
    let line = svg.split_once("class=\"line").unwrap().1;
    let mut parts = line.split("<path d=\"").skip(1);
    let mut found = Vec::new();
    while let Some((path, _)) = parts.next().and_then(|part| part.split_once('"')) {
        found.push(path);
    }
    found
}

#[test]
fn a_line_is_broken_where_nothing_is_known_and_never_falls_to_zero() {
    let svg = chart(vec![
        (0.0, Some(8.0)),
        (1.0, Some(4.0)),
        (2.0, None),
        (3.0, Some(8.0)),
        (4.0, None),
        (5.0, Some(8.0)),
        (6.0, Some(8.0)),
    ])
    .svg();
    let paths = paths(&svg);
    assert_eq!(paths.len(), 3, "{paths:?}");
    assert!(
        !paths.concat().contains(&format!(" {BOTTOM:.1}")),
        "{paths:?}"
    );
    assert!(
        paths[1].ends_with("h0.1"),
        "a single point is a dot: {paths:?}"
    );
}

#[test]
fn zero_is_at_the_bottom_and_the_highest_value_fits() {
    for (highest, top) in [
        (0.0, 4.0),
        (4.0, 4.0),
        (5.0, 8.0),
        (130.0, 200.0),
        (1e6, 1.2e6),
    ] {
        let chart = chart(vec![(0.0, Some(0.0)), (10.0, Some(highest))]);
        assert_eq!(chart.top(), top, "{highest}");
        let svg = chart.svg();
        let expected = format!("M{LEFT:.1} {BOTTOM:.1}L{RIGHT:.1} {:.1}", y(highest, top));
        assert_eq!(paths(&svg), [expected]);
    }
}

#[test]
fn what_names_say_stays_text() {
    let svg = chart(vec![(0.0, Some(1.0))]).svg();
    assert!(svg.contains("<title>&lt;g&gt;</title>"), "{svg}");
    assert!(svg.contains("0:02 &lt;three&gt; members"), "{svg}");
}

#[test]
fn no_chart_has_too_many_times_or_points_outside() {
    for until in [0.0, 0.5, 59.0, 3_600.0, 1e7] {
        let mut chart = chart(vec![(-5.0, Some(1.0)), (1e9, Some(1.0))]);
        chart.until = until;
        let svg = chart.svg();
        assert!(
            svg.matches("class=\"middle\"").count() <= 12,
            "{until}: {svg}"
        );
        assert!(
            !svg.contains("NaN") && !svg.contains("inf"),
            "{until}: {svg}"
        );
        assert!(
            paths(&svg)[0].starts_with(&format!("M{LEFT:.1}")),
            "{until}"
        );
    }
}
