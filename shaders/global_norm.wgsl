// The Euclidean norm of x [elements] f32 and the factor that clips it, in two passes of this
// file or, for few elements, one. SQUARE: sums squares, `span` vectors a workgroup, workgroup
// k's sum into sum[k]; otherwise sums x itself (the first pass's sums). FINISH (one workgroup):
// sum[0] = the root of the sum, and scale[0] = min(1, clip / (norm + 1e-6)) by rule 1
// (PyTorch), clip / max(norm, clip) by rule 2 (TensorFlow); rule 0 leaves scale alone. NaN
// stays NaN in both. Lanes stride through the span, then lane 0 adds their sums: one barrier,
// in a fixed order.
override WORKGROUP: u32 = 64u;
override SQUARE: bool = true;
override FINISH: bool = true;

struct Params {
  elements: u32,
  span: u32, // vec4s a workgroup
  rule: u32,
  clip: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> sum: array<f32>;
@group(0) @binding(2) var<storage, read_write> scale: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

var<workgroup> parts: array<f32, WORKGROUP>;

fn nan_bits(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let end = min((wid.x + 1u) * p.span, (p.elements + 3u) / 4u);
  var s = vec4<f32>();
  for (var q = wid.x * p.span + lane; q < end; q += WORKGROUP) {
    let i = q * 4u;
    // What lies behind the last element is not ours.
    let v = select(vec4<f32>(), x[q], vec4<u32>(i, i + 1u, i + 2u, i + 3u) < vec4<u32>(p.elements));
    if (SQUARE) { s += v * v; } else { s += v; }
  }
  parts[lane] = (s.x + s.y) + (s.z + s.w);
  workgroupBarrier();
  if (lane == 0u) {
    var all = 0.0;
    for (var k = 0u; k < WORKGROUP; k++) { all += parts[k]; }
    if (FINISH) {
      let norm = sqrt(all);
      sum[0] = norm;
      if (p.rule > 0u) {
        var factor = min(1.0, p.clip / (norm + 1e-6));
        if (p.rule == 2u) { factor = p.clip / max(norm, p.clip); }
        if (nan_bits(all)) { factor = all; }
        scale[0] = factor;
      }
    } else {
      sum[wid.x] = all;
    }
  }
}
