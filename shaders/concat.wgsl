// Copies up to six arrays x0, x1, x2, x3, x4, x5 side by side, as 32-bit words, into a range of the
// rows of y. Each input is [rows, its width], y [rows, row]; x0 starts at column `start` of each row,
// the next one behind it. More than six inputs are further dispatches with another `start`.
// One element an invocation; unused inputs have width 0 and are bound to anything.
override WORKGROUP: u32 = 64u;

struct Params {
  // Columns, from `start`, at which each input ends; that of an unused one is not looked at.
  ends_low: vec4<u32>,
  ends_high: vec4<u32>,
  rows: u32,
  width: u32, // of all inputs together
  row: u32,
  start: u32,
}

@group(0) @binding(0) var<storage, read> x0: array<u32>;
@group(0) @binding(1) var<storage, read> x1: array<u32>;
@group(0) @binding(2) var<storage, read> x2: array<u32>;
@group(0) @binding(3) var<storage, read> x3: array<u32>;
@group(0) @binding(4) var<storage, read> x4: array<u32>;
@group(0) @binding(5) var<storage, read> x5: array<u32>;
@group(0) @binding(6) var<storage, read_write> y: array<u32>;
@group(0) @binding(7) var<uniform> p: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (i >= p.rows * p.width) { return; }
  let r = i / p.width;
  let c = i - r * p.width;
  var v: u32;
  if (c < p.ends_low.x) {
    v = x0[r * p.ends_low.x + c];
  } else if (c < p.ends_low.y) {
    v = x1[r * (p.ends_low.y - p.ends_low.x) + c - p.ends_low.x];
  } else if (c < p.ends_low.z) {
    v = x2[r * (p.ends_low.z - p.ends_low.y) + c - p.ends_low.y];
  } else if (c < p.ends_low.w) {
    v = x3[r * (p.ends_low.w - p.ends_low.z) + c - p.ends_low.z];
  } else if (c < p.ends_high.x) {
    v = x4[r * (p.ends_high.x - p.ends_low.w) + c - p.ends_low.w];
  } else {
    v = x5[r * (p.ends_high.y - p.ends_high.x) + c - p.ends_high.x];
  }
  y[r * p.row + p.start + c] = v;
}
