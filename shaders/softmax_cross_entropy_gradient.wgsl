// Gradient of softmax cross-entropy:
//   dlogits[b, k] = c_b * (softmax(logits_b)_k - (k == label_b))
//   c_b = weight_b * dloss[b], for the mean (MEAN) weight_b * dloss[0] / total[0]; CONSTANT: every
//   dloss is `factor`
// logits, dlogits [rows, classes]; labels, weight [rows]; stats [rows] = (max, 1 / sum of
// exp(x - max)), NaN in rows that have no loss. Rows of weight 0 get 0. RUN elements of a row an
// invocation, which share the row's numbers and one division.
override WORKGROUP: u32 = 64u;
override MEAN: bool = false;
override CONSTANT: bool = false;
override RUN: u32 = 16u;

struct Params {
  rows: u32,
  classes: u32,
  runs: u32, // in a row
  factor: f32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> stats: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> total: array<f32>;
@group(0) @binding(5) var<storage, read> dloss: array<f32>;
@group(0) @binding(6) var<storage, read_write> dlogits: array<f32>;
@group(0) @binding(7) var<uniform> p: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (i >= p.rows * p.runs) { return; }
  let b = i / p.runs;
  let start = b * p.classes;
  let label = labels[b];
  let w = weight[b];
  let s = stats[b];
  let d = select(dloss[select(b, 0u, MEAN)], p.factor, CONSTANT);
  let c = w * d / select(1.0, total[0], MEAN);
  // Neighbouring invocations take neighbouring columns.
  var k = i - b * p.runs;
  for (var j = 0u; j < RUN && k < p.classes; j++) {
    let v = c * (exp(logits[start + k] - s.x) * s.y - select(0.0, 1.0, k == label));
    dlogits[start + k] = select(v, 0.0, w == 0.0);
    k += p.runs;
  }
}
