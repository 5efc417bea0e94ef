//! Views of one image in every position to one another.

use crate::arguments::CaseArguments;
use crate::program::{Program, aiv};
use crate::scene::{Case, Expect, Scene};

/// Rows and columns of the image.
const SIDE: u32 = 24;

/// A rectangle: row, column, height, width.
type Rectangle = [u32; 4];

/// One task: a rectangle, and one inside it in its coordinates, used if its height is not zero.
#[derive(Debug, Clone, Copy)]
struct Turn {
    outer: Rectangle,
    inner: Rectangle,
    microseconds: u32,
}

impl Turn {
    const fn of(outer: Rectangle) -> Self {
        Self { outer, inner: [0; 4], microseconds: 0 }
    }

    const fn inside(self, inner: Rectangle) -> Self {
        Self { inner, ..self }
    }

    const fn slow(self) -> Self {
        Self { microseconds: 300, ..self }
    }

    /// Whether an element of the image is in the view, from the definition.
    fn contains(&self, row: u32, column: u32) -> bool {
        let is_in = |[first_row, first_column, height, width]: Rectangle, row: u32, column: u32| {
            (first_row..first_row + height).contains(&row)
                && (first_column..first_column + width).contains(&column)
        };
        let [first_row, first_column, ..] = self.outer;
        is_in(self.outer, row, column)
            && (self.inner[2] == 0 || is_in(self.inner, row - first_row, column - first_column))
    }
}

/// The scenes of this family.
pub(super) fn scenes() -> Vec<Scene> {
    let disjoint = |i: u32| Turn::of([i / 4 * 6, i % 4 * 6, 6, 6]);
    vec![Scene {
        name: "views",
        summary: "2-D views: exact, disjoint, overlapping, inside one another, views of views",
        programs: vec![Program::new(
            "views",
            "views/orchestration.cpp",
            &[aiv(0, "views/kernels/turn.cpp")],
        )],
        cases: vec![
            case("exact", vec![Turn::of([3, 5, 7, 4]).slow(); 12]).small(),
            case("disjoint", (0..16).map(disjoint).map(Turn::slow).collect()).small(),
            case("side by side in a row", columns()).small(),
            case("inside one another", nested()).small(),
            case("views of views", views_of_views()).small(),
            case("everywhere", scattered(300)),
        ],
    }]
}

/// Whole image first and last, single columns and rows in between: they cross everywhere.
fn columns() -> Vec<Turn> {
    let columns = (0..SIDE).map(|i| Turn::of([0, i, SIDE, 1]));
    let rows = (0..SIDE).map(|i| Turn::of([i, 0, 1, SIDE]));
    let whole = [Turn::of([0, 0, SIDE, SIDE]).slow()];
    whole.into_iter().chain(columns).chain(rows).chain(whole).collect()
}

/// From the outside in and out again.
fn nested() -> Vec<Turn> {
    let ring = |i: u32| Turn::of([i, i, SIDE - 2 * i, SIDE - 2 * i]);
    (0..11)
        .chain((0..11).rev())
        .map(|i| if i % 4 == 0 { ring(i).slow() } else { ring(i) })
        .collect()
}

/// The same elements by different ways, and neighbours that only look alike.
fn views_of_views() -> Vec<Turn> {
    let corner = Turn::of([4, 4, 12, 12]);
    vec![
        corner.slow(),
        corner.inside([0, 0, 12, 12]),
        corner.inside([2, 3, 5, 4]).slow(),
        Turn::of([6, 7, 5, 4]),
        corner.inside([7, 3, 5, 4]),
        Turn::of([0, 0, 24, 24]).inside([6, 7, 5, 4]).slow(),
        Turn::of([6, 0, 5, 24]).inside([0, 7, 5, 4]),
        Turn::of([5, 6, 1, 1]).inside([0, 0, 1, 1]),
        corner.inside([1, 2, 1, 1]),
    ]
}

/// Rectangles of all sizes at places of a simple generator, some of them views of views.
fn scattered(count: usize) -> Vec<Turn> {
    let mut state = 12_345_u32;
    let mut below = |limit: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % limit
    };
    let mut rectangle = |rows: u32, columns: u32| {
        let (row, column) = (below(rows), below(columns));
        [row, column, 1 + below((rows - row).min(9)), 1 + below((columns - column).min(9))]
    };
    let turn = |i: usize| {
        let outer = rectangle(SIDE, SIDE);
        let turn = Turn::of(outer);
        let turn =
            if i.is_multiple_of(3) { turn.inside(rectangle(outer[2], outer[3])) } else { turn };
        if i.is_multiple_of(10) { turn.slow() } else { turn }
    };
    (0..count).map(turn).collect()
}

fn case(name: &str, turns: Vec<Turn>) -> Case {
    let expect = Expect::Values { tasks: turns.len() as u64 };
    Case::new(name, "views", expect, move || arguments(&turns))
}

/// Goes over the image for each rectangle in turn and asks for each element whether it is in it.
fn arguments(turns: &[Turn]) -> CaseArguments {
    let before: Vec<u32> = (0..SIDE * SIDE).collect();
    let mut after = before.clone();
    let mut rectangles = Vec::new();
    for (tag, turn) in (1..).zip(turns) {
        for (cell, place) in after.iter_mut().zip(0..) {
            if turn.contains(place / SIDE, place % SIDE) {
                *cell = cell.wrapping_mul(3).wrapping_add(tag);
            }
        }
        rectangles.extend(turn.outer.iter().chain(&turn.inner));
        rectangles.extend([tag, turn.microseconds]);
    }
    CaseArguments::new().input("rectangles", &rectangles, &[turns.len() as u32, 10]).inout(
        "image",
        &before,
        &after,
        &[SIDE, SIDE],
    )
}
