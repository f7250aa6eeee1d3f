// What a hyper cell makes of the gates of the main cell: pre = d_0 hg + d_1 xg + d_2.
// hg, xg and pre [steps, rows, 4, hidden]; d [steps, 3, 4, rows, hidden], kinds before gates.
// Four elements of pre an invocation. VECTORS (hidden a multiple of 4): they are one vector of d too;
// else d is read element by element.
override WORKGROUP: u32 = 64u;
override VECTORS: bool = false;

struct Params {
  vectors: u32, // of pre
  rows: u32,
  hidden: u32,
}

@group(0) @binding(0) var<storage, read> hg: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> xg: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> d: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> pre: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> p: Params;

fn element(i: u32) -> f32 { return d[i / 4u][i % 4u]; }

// Where the scale of hg for element i of pre lies in d.
fn place(i: u32) -> u32 {
  let gate = i / p.hidden;
  let row = gate / 4u;
  let step = row / p.rows;
  return ((step * 12u + gate % 4u) * p.rows + row % p.rows) * p.hidden + i % p.hidden;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let q = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (q >= p.vectors) { return; }
  let i = q * 4u;
  let kind = 4u * p.rows * p.hidden; // elements from one kind to the next
  if (VECTORS) {
    let j = place(i) / 4u;
    let k = kind / 4u;
    pre[q] = d[j] * hg[q] + d[j + k] * xg[q] + d[j + 2u * k];
  } else {
    let a = vec4<u32>(place(i), place(i + 1u), place(i + 2u), place(i + 3u));
    let b = a + kind;
    let c = b + kind;
    let scale_h = vec4<f32>(element(a.x), element(a.y), element(a.z), element(a.w));
    let scale_x = vec4<f32>(element(b.x), element(b.y), element(b.z), element(b.w));
    let bias = vec4<f32>(element(c.x), element(c.y), element(c.z), element(c.w));
    pre[q] = scale_h * hg[q] + scale_x * xg[q] + bias;
  }
}
