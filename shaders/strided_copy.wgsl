// Copies elements, as 32-bit words, from x to y in another order: transpose, slice, flip,
// broadcast and pad. y is dense with RANK axes, axis k of size axis_k.x, axis 0 the innermost.
// Index i_k along it reads x at
//   base + sum over k of j_k / step_k * axis_k.y,   j_k = i_k - axis_k.z,
// where 0 <= j_k < axis_k.w and j_k is a multiple of step_k; elsewhere y is `fill` (PLACED;
// otherwise every index is inside and z, w and step are not looked at). Strides may be negative:
// sums wrap modulo 2^32. Integer division is what costs time here: the host merges adjacent axes, RANK is
// compiled in (adapters that mask pay for a branch not taken), four elements make an invocation,
// and where they lie in one row (WHOLE_ROWS: axis 0 is a multiple of 4) they share all divisions.
// SwiftShader, 400,000 elements: as fast as an elementwise kernel, 13 to 30 times as fast as with
// branches on the rank and one element an invocation.
override WORKGROUP: u32 = 64u;
override RANK: u32 = 6u;
override PLACED: bool = false;
override WHOLE_ROWS: bool = false;

struct Params {
  axis0: vec4<u32>,
  axis1: vec4<u32>,
  axis2: vec4<u32>,
  axis3: vec4<u32>,
  axis4: vec4<u32>,
  axis5: vec4<u32>,
  // Steps of axes 0 to 3, and of 4 and 5.
  step_low: vec4<u32>,
  step_high: vec4<u32>,
  elements: u32,
  base: u32,
  fill: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> p: Params;

var<private> rest: u32; // of the flat index in y, in elements of the axes still to come
var<private> at: u32; // index in x
var<private> inside: bool;

// Goes to an index of one axis.
fn along(index: u32, axis: vec4<u32>, step: u32) {
  if (PLACED) {
    // Before the start this wraps to a large number, which is outside as well.
    let from_start = index - axis.z;
    let steps = from_start / step;
    inside = inside && from_start < axis.w && steps * step == from_start;
    at += steps * axis.y;
  } else {
    at += index * axis.y;
  }
}

// Takes the innermost remaining axis off `rest`.
fn split(n: u32) -> u32 {
  let outer = rest / n;
  let index = rest - outer * n;
  rest = outer;
  return index;
}

// Places flat index i of y on all axes but the innermost, and returns the index along that one.
fn locate(i: u32) -> u32 {
  rest = i;
  at = p.base;
  inside = true;
  if (RANK < 2u) { return i; }
  let inner = split(p.axis0.x);
  if (RANK > 2u) { along(split(p.axis1.x), p.axis1, p.step_low.y); }
  if (RANK > 3u) { along(split(p.axis2.x), p.axis2, p.step_low.z); }
  if (RANK > 4u) { along(split(p.axis3.x), p.axis3, p.step_low.w); }
  if (RANK > 5u) { along(split(p.axis4.x), p.axis4, p.step_high.x); }
  // The outermost axis is what is left.
  if (RANK == 2u) { along(rest, p.axis1, p.step_low.y); }
  if (RANK == 3u) { along(rest, p.axis2, p.step_low.z); }
  if (RANK == 4u) { along(rest, p.axis3, p.step_low.w); }
  if (RANK == 5u) { along(rest, p.axis4, p.step_high.x); }
  if (RANK == 6u) { along(rest, p.axis5, p.step_high.y); }
  return inner;
}

fn element(i: u32) -> u32 {
  // y may lie in a slab, whose padding is zero.
  if (i >= p.elements) { return 0u; }
  along(locate(i), p.axis0, p.step_low.x);
  return select(p.fill, x[at], inside);
}

// The element `inner` of the row that was located.
fn row_element(inner: u32) -> u32 {
  let row_at = at;
  let row_inside = inside;
  along(inner, p.axis0, p.step_low.x);
  let v = select(p.fill, x[at], inside);
  at = row_at;
  inside = row_inside;
  return v;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let q = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  let i = q * 4u;
  if (i >= p.elements) { return; }
  if (WHOLE_ROWS) {
    let k = locate(i);
    y[q] = vec4<u32>(row_element(k), row_element(k + 1u), row_element(k + 2u), row_element(k + 3u));
  } else {
    y[q] = vec4<u32>(element(i), element(i + 1u), element(i + 2u), element(i + 3u));
  }
}
