// Softmax cross-entropy and accuracy of rows of logits [rows, classes] against labels [rows]
// (u32, or i32 as u32), each row weighted by weight [rows]:
//   loss_b = weight_b * (log(sum_k exp(x_bk - max_b)) + max_b - x_b,label)
//   correct_b = weight_b if the first maximum of the row is at the label, else 0
// A row of weight 0 counts for nothing, whatever it holds. A row with NaN, an infinite maximum
// or a label that is no class has the loss NaN. stats [rows] keeps (max_b, 1 / sum) for the
// gradient. REDUCE 0: loss, correct [rows]. 1: workgroup k adds up its `span` rows into
// loss[k], correct[k] and total[k] (weights). 2: one workgroup has all rows: the weighted mean
// of the loss (0 if all weights are 0), the sum of correct, the sum of weights, each at [0].
// One row an invocation; workgroup sums are added by lane 0: one barrier, in a fixed order.
override WORKGROUP: u32 = 64u;
override REDUCE: u32 = 0u;

struct Params {
  rows: u32,
  classes: u32,
  span: u32, // rows a workgroup
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> stats: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> loss: array<f32>;
@group(0) @binding(5) var<storage, read_write> correct: array<f32>;
@group(0) @binding(6) var<storage, read_write> total: array<f32>;
@group(0) @binding(7) var<uniform> p: Params;

var<workgroup> parts: array<vec3<f32>, WORKGROUP>;

fn not_finite(v: f32) -> bool { return (bitcast<u32>(v) & 0x7f800000u) == 0x7f800000u; }

fn nan_bits(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }

// (loss, correct, weight) of a row; writes its stats.
fn row(b: u32) -> vec3<f32> {
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
  var sum = 0.0;
  for (var k = 0u; k < p.classes; k++) { sum += exp(logits[start + k] - best); }
  let label = labels[b];
  let w = weight[b];
  stats[b] = vec2<f32>(best, 1.0 / sum);
  if (w == 0.0) { return vec3<f32>(); }
  if (broken || not_finite(best) || label >= p.classes) {
    // A variable, since a constant expression may not be NaN.
    var bits = 0x7fc00000u;
    let nan = bitcast<f32>(bits);
    stats[b] = vec2<f32>(nan, nan);
    return vec3<f32>(nan, 0.0, w);
  }
  return vec3<f32>(w * (log(sum) + (best - logits[start + label])), select(0.0, w, at == label), w);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let end = min((wid.x + 1u) * p.span, p.rows);
  var s = vec3<f32>();
  for (var b = wid.x * p.span + lane; b < end; b += WORKGROUP) {
    let r = row(b);
    if (REDUCE == 0u) {
      loss[b] = r.x;
      correct[b] = r.y;
    }
    s += r;
  }
  parts[lane] = s;
  workgroupBarrier();
  if (lane == 0u && REDUCE > 0u) {
    var all = vec3<f32>();
    for (var k = 0u; k < WORKGROUP; k++) { all += parts[k]; }
    if (REDUCE == 2u) { all.x = select(all.x / all.z, all.x, all.z == 0.0); }
    loss[wid.x] = all.x;
    correct[wid.x] = all.y;
    total[wid.x] = all.z;
  }
}
