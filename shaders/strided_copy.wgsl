// Copies elements, as 32-bit words, from x to y in another order: transpose, slice, flip, broadcast
// and pad. y is dense with up to six axes, axis k of size axis_k.x. Index i_k along it reads x at
//   base + sum over k of (i_k - axis_k.z) / step_k * axis_k.y,   where 0 <= i_k - axis_k.z < axis_k.w
// and i_k - axis_k.z is a multiple of step_k; elsewhere y is `fill` (PLACED; otherwise every index is
// inside and z, w and step are not looked at). Strides may be negative: sums wrap modulo 2^32.
// Axes are numbered from the innermost, so that those beyond `rank` cost one branch.
// The host merges adjacent axes first, since integer division is what costs time here.
override WORKGROUP: u32 = 64u;
override PLACED: bool = false;

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
  rank: u32,
  base: u32,
  fill: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> p: Params;

var<private> rest: u32; // of the flat index in y, in elements of the axes still to come
var<private> at: u32; // index in x
var<private> inside: bool;

// Takes the innermost remaining axis off `rest`.
fn along(axis: vec4<u32>, step: u32) {
  let outer = rest / axis.x;
  let index = rest - outer * axis.x;
  rest = outer;
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

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (i >= p.elements) { return; }
  rest = i;
  at = p.base;
  inside = true;
  if (p.rank > 0u) { along(p.axis0, p.step_low.x); }
  if (p.rank > 1u) { along(p.axis1, p.step_low.y); }
  if (p.rank > 2u) { along(p.axis2, p.step_low.z); }
  if (p.rank > 3u) { along(p.axis3, p.step_low.w); }
  if (p.rank > 4u) { along(p.axis4, p.step_high.x); }
  if (p.rank > 5u) { along(p.axis5, p.step_high.y); }
  if (inside) {
    y[i] = x[at];
  } else {
    y[i] = p.fill;
  }
}
