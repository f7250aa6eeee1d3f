// Register-only multiply-add in 8 vec4 accumulators: 64 flops a trip, no memory but one store.
//
// y: [invocations], the sum of an invocation's accumulators, so that none is dead code.
// 32 values an invocation, as a 4 x 8 register tile holds: spills show here.
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
  var c = a + 2.0;
  var d = a + 3.0;
  var e = a + 4.0;
  var f = a + 5.0;
  var g = a + 6.0;
  var h = a + 7.0;
  for (var i = 0u; i < TRIPS; i++) {
    a = a * s + t; b = b * s + t; c = c * s + t; d = d * s + t;
    e = e * s + t; f = f * s + t; g = g * s + t; h = h * s + t;
  }
  let sum = a + b + c + d + e + f + g + h;
  y[id.x] = sum.x + sum.y + sum.z + sum.w;
}
