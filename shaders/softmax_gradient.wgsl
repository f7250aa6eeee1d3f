// Gradient of softmax over the last axis from its output y: dx = y * (dy - sum of dy y), and of its
// logarithm (LOG): dx = dy - exp(y) * sum of dy. y, dy, dx [rows, classes]. One row an invocation.
override WORKGROUP: u32 = 64u;
override LOG: bool = false;

struct Params {
  rows: u32,
  classes: u32,
}

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let b = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (b >= p.rows) { return; }
  let start = b * p.classes;
  var sum = 0.0;
  for (var k = 0u; k < p.classes; k++) {
    if (LOG) { sum += dy[start + k]; } else { sum += dy[start + k] * y[start + k]; }
  }
  for (var k = 0u; k < p.classes; k++) {
    let i = start + k;
    if (LOG) { dx[i] = dy[i] - exp(y[i]) * sum; } else { dx[i] = y[i] * (dy[i] - sum); }
  }
}
