// One class of each row of logits [rows, classes] by the inverse of its distribution function:
//   chosen[b] = the first k with  sum_{j <= k} w_j > u[b] * sum_j w_j,
//   w_j = exp((x_bj - max_b) / temperature)
// u [rows] in [0, 1), temperature [1]; at a temperature of 0 or below the first maximum. A row with
// NaN or an infinite maximum gives 0xffffffff, which is no class. One row an invocation: both sums
// are made in one order, so that the last one is the whole.
override WORKGROUP: u32 = 64u;

struct Params {
  rows: u32,
  classes: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> u: array<f32>;
@group(0) @binding(2) var<storage, read> temperature: array<f32>;
@group(0) @binding(3) var<storage, read_write> chosen: array<u32>;
@group(0) @binding(4) var<uniform> p: Params;

fn not_finite(v: f32) -> bool { return (bitcast<u32>(v) & 0x7f800000u) == 0x7f800000u; }

fn nan_bits(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let b = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (b >= p.rows) { return; }
  let start = b * p.classes;
  var best = logits[start];
  var at = 0u;
  var broken = nan_bits(best);
  for (var k = 1u; k < p.classes; k++) {
    let v = logits[start + k];
    broken = broken || nan_bits(v);
    at = select(at, k, v > best);
    best = select(best, v, v > best);
  }
  if (broken || not_finite(best)) {
    chosen[b] = 0xffffffffu;
    return;
  }
  let t = temperature[0];
  if (t > 0.0) {
    var whole = 0.0;
    for (var k = 0u; k < p.classes; k++) { whole += exp((logits[start + k] - best) / t); }
    // Where rounding lets none exceed the threshold, the likeliest stays chosen.
    let threshold = u[b] * whole;
    var sum = 0.0;
    var found = false;
    for (var k = 0u; k < p.classes; k++) {
      sum += exp((logits[start + k] - best) / t);
      let here = !found && sum > threshold;
      at = select(at, k, here);
      found = found || here;
    }
  }
  chosen[b] = at;
}
