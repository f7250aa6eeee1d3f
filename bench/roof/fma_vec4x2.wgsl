// Register-only multiply-add in 2 vec4 accumulators: 64 flops a trip, no memory but one store.
//
// y: [invocations], the sum of an invocation's accumulators, so that none is dead code.
// As few registers as 8 scalars take; the form that adapters with vector units of 4 like.
override WORKGROUP: u32 = 64u;
override TRIPS: u32 = 1024u;

struct Params {
  scale: f32,
  shift: f32,
}

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<uniform> p: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let s = vec4<f32>(p.scale);
  let t = vec4<f32>(p.shift);
  var a = vec4<f32>(f32(id.x));
  var b = a + 1.0;
  for (var i = 0u; i < TRIPS; i++) {
    a = a * s + t; b = b * s + t;
    a = a * s + t; b = b * s + t;
    a = a * s + t; b = b * s + t;
    a = a * s + t; b = b * s + t;
  }
  let sum = a + b;
  y[id.x] = sum.x + sum.y + sum.z + sum.w;
}
