// Softmax over the last axis, or its logarithm (LOG): x, y [rows, classes];
//   y = exp(x - max) / sum of exp(x - max)   or   x - max - log(sum of exp(x - max)).
// A row with NaN or with an infinite maximum is NaN. One row an invocation.
override WORKGROUP: u32 = 64u;
override LOG: bool = false;

struct Params {
  rows: u32,
  classes: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

fn not_finite(v: f32) -> bool { return (bitcast<u32>(v) & 0x7f800000u) == 0x7f800000u; }

fn nan_bits(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let b = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (b >= p.rows) { return; }
  let start = b * p.classes;
  var best = x[start];
  var broken = nan_bits(best);
  for (var k = 1u; k < p.classes; k++) {
    let v = x[start + k];
    broken = broken || nan_bits(v);
    best = select(best, v, v > best);
  }
  var sum = 0.0;
  for (var k = 0u; k < p.classes; k++) { sum += exp(x[start + k] - best); }
  broken = broken || not_finite(best);
  if (broken) {
    // A variable, since a constant expression may not be NaN.
    var bits = 0x7fc00000u;
    sum = bitcast<f32>(bits);
    best = sum;
  }
  let factor = 1.0 / sum;
  let logarithm = select(log(sum), sum, broken);
  for (var k = 0u; k < p.classes; k++) {
    let shifted = x[start + k] - best;
    if (LOG) { y[start + k] = shifted - logarithm; } else { y[start + k] = exp(shifted) * factor; }
  }
}
