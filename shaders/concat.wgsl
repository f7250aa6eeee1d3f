// Copies up to six arrays x0, x1, x2, x3, x4, x5 (INPUTS of them) side by side, as 32-bit
// words, into a range of the rows of y. Each input is [rows, its width], y [rows, row]; x0
// starts at column `start` of each row, the next one behind it. More than six inputs are
// further dispatches with another `start`. Four elements of a row an invocation, one division
// for all; unused inputs are bound to anything.
override WORKGROUP: u32 = 64u;
override INPUTS: u32 = 6u;

struct Params {
  // Columns, from `start`, at which each input ends.
  ends_low: vec4<u32>,
  ends_high: vec4<u32>,
  rows: u32,
  width: u32, // of all inputs together
  row: u32,
  start: u32,
  runs: u32, // of four in a row of `width`
}

@group(0) @binding(0) var<storage, read> x0: array<u32>;
@group(0) @binding(1) var<storage, read> x1: array<u32>;
@group(0) @binding(2) var<storage, read> x2: array<u32>;
@group(0) @binding(3) var<storage, read> x3: array<u32>;
@group(0) @binding(4) var<storage, read> x4: array<u32>;
@group(0) @binding(5) var<storage, read> x5: array<u32>;
@group(0) @binding(6) var<storage, read_write> y: array<u32>;
@group(0) @binding(7) var<uniform> p: Params;

// Element c of row r of the inputs side by side.
fn element(r: u32, c: u32) -> u32 {
  if (INPUTS < 2u || c < p.ends_low.x) {
    return x0[r * p.ends_low.x + c];
  }
  if (INPUTS < 3u || c < p.ends_low.y) {
    return x1[r * (p.ends_low.y - p.ends_low.x) + c - p.ends_low.x];
  }
  if (INPUTS < 4u || c < p.ends_low.z) {
    return x2[r * (p.ends_low.z - p.ends_low.y) + c - p.ends_low.y];
  }
  if (INPUTS < 5u || c < p.ends_low.w) {
    return x3[r * (p.ends_low.w - p.ends_low.z) + c - p.ends_low.z];
  }
  if (INPUTS < 6u || c < p.ends_high.x) {
    return x4[r * (p.ends_high.x - p.ends_low.w) + c - p.ends_low.w];
  }
  return x5[r * (p.ends_high.y - p.ends_high.x) + c - p.ends_high.x];
}

fn copy(r: u32, c: u32) {
  if (c < p.width) { y[r * p.row + p.start + c] = element(r, c); }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (i >= p.rows * p.runs) { return; }
  let r = i / p.runs;
  // Neighbouring invocations take neighbouring columns.
  let c = i - r * p.runs;
  copy(r, c);
  copy(r, c + p.runs);
  copy(r, c + 2u * p.runs);
  copy(r, c + 3u * p.runs);
}
