// One step of SGD with momentum (PyTorch's) over slabs of parameters p, gradients g and momentum
// buffers, all [elements] f32, p and buffer written in place:
//   g = g * scale[0] (SCALED) + decay * p;   buffer = momentum * buffer + g   (zeros before step 1)
//   p = p - scalars[0] * (NESTEROV: g + momentum * buffer, otherwise buffer)
// Four elements an invocation. Zero padding stays zero.
override WORKGROUP: u32 = 64u;
override SCALED: bool = false;
override NESTEROV: bool = false;

struct Params {
  vectors: u32, // elements / 4, rounded up
  momentum: f32,
  decay: f32,
}

@group(0) @binding(0) var<storage, read_write> p: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> buffer: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> scalars: array<f32>;
@group(0) @binding(4) var<storage, read> scale: array<f32>;
@group(0) @binding(5) var<uniform> u: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (i >= u.vectors) { return; }
  let weights = p[i];
  let gradient = select(1.0, scale[0], SCALED) * g[i] + u.decay * weights;
  let moved = u.momentum * buffer[i] + gradient;
  buffer[i] = moved;
  p[i] = weights - scalars[0] * select(moved, gradient + u.momentum * moved, NESTEROV);
}
