// Adds the parts of a kernel gradient in a fixed order:
//   dkernel[i] = sum over z < parts of partial[z, i].
// partial [parts, elements]; dkernel [elements]. One value an invocation, neighbours beside each
// other; the sum is short (some dozens of parts) and the traffic small beside the product's.
override WORKGROUP: u32 = 64u;

struct Params {
  parts: u32,
  elements: u32,
}

@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<storage, read_write> dkernel: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (i >= p.elements) { return; }
  var sum = 0.0;
  for (var z = 0u; z < p.parts; z++) {
    sum += partial[z * p.elements + i];
  }
  dkernel[i] = sum;
}
