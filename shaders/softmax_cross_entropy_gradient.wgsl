// Gradient of softmax cross-entropy: dlogits[b, k] = c_b * (softmax(logits_b)_k - (k == label_b)) with
// c_b = weight_b * dloss[b], or for the mean (MEAN) weight_b * dloss[0] / total[0]. logits, dlogits
// [rows, classes]; labels, weight [rows]; stats [rows] = (max, 1 / sum of exp(x - max)), NaN in rows
// that have no loss. Rows of weight 0 get 0. One element an invocation.
override WORKGROUP: u32 = 64u;
override MEAN: bool = false;

struct Params {
  elements: u32,
  classes: u32,
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
  if (i >= p.elements) { return; }
  let b = i / p.classes;
  let w = weight[b];
  var d = 0.0;
  if (w != 0.0) {
    var c: f32;
    if (MEAN) { c = w * dloss[0] / total[0]; } else { c = w * dloss[b]; }
    let s = stats[b];
    d = c * (exp(logits[i] - s.x) * s.y - select(0.0, 1.0, i - b * p.classes == labels[b]));
  }
  dlogits[i] = d;
}
