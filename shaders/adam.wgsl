// One step of Adam over slabs of parameters p, gradients g and moments m, v, all [elements]
// f32, p, m and v written in place:
//   g = g * scale[0] (SCALED) + coupled_decay * p;   p = p - scalars[0] * decoupled_decay * p
//   m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g²
//   p = p - step m / (sqrt(v) root + eps)
// step = scalars[1] = lr / (1 - beta1^t), root = scalars[2] = 1 / sqrt(1 - beta2^t): eps after
// the bias correction (PyTorch); EPS_FIRST: step = scalars[3] = lr sqrt(1 - beta2^t) / (1 -
// beta1^t), root 1 (TensorFlow 1). scalars [8] is computed in f64 on the host. Zero padding
// stays zero since eps > 0. Four elements an invocation: bound by memory, so one pass over four
// arrays is all there is to do.
override WORKGROUP: u32 = 64u;
override SCALED: bool = false;
override EPS_FIRST: bool = false;

struct Params {
  vectors: u32, // elements / 4, rounded up
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  eps: f32,
  coupled_decay: f32,
  decoupled_decay: f32,
}

@group(0) @binding(0) var<storage, read_write> p: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> scalars: array<f32>;
@group(0) @binding(5) var<storage, read> scale: array<f32>;
@group(0) @binding(6) var<uniform> u: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (i >= u.vectors) { return; }
  // Chosen without a branch, which adapters that mask would pay for on both sides.
  let step = select(scalars[1], scalars[3], EPS_FIRST);
  let root = select(scalars[2], 1.0, EPS_FIRST);
  let factor = select(1.0, scale[0], SCALED);
  var weights = p[i];
  let gradient = factor * g[i] + u.coupled_decay * weights;
  weights -= (scalars[0] * u.decoupled_decay) * weights;
  let mean = u.beta1 * m[i] + u.one_minus_beta1 * gradient;
  let square = u.beta2 * v[i] + u.one_minus_beta2 * (gradient * gradient);
  m[i] = mean;
  v[i] = square;
  p[i] = weights - step * mean / (sqrt(square) * root + u.eps);
}
