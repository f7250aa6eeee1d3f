// Gradients of pre = d_0 hg + d_1 xg + d_2 (hyper_scale) from that of pre:
//   dhg = d_0 dpre, dxg = d_1 dpre, dd = (dpre hg, dpre xg, dpre).
// dpre, hg, xg, dhg and dxg [steps, rows, 4, hidden]; d and dd [steps, 3, 4, rows, hidden].
// An invocation writes vector q of dhg and dxg, and of each kind of dd as many elements. VECTORS
// (hidden a multiple of 4): those that q itself gives; else, since they lie elsewhere, those at the
// same place of the step, whose sources are read element by element.
override WORKGROUP: u32 = 64u;
override VECTORS: bool = false;

struct Params {
  vectors: u32, // of dpre
  rows: u32,
  hidden: u32,
}

@group(0) @binding(0) var<storage, read> dpre: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> hg: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> xg: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> d: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> dhg: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> dxg: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> dd: array<vec4<f32>>;
@group(0) @binding(7) var<uniform> p: Params;

// Where the scale of hg for element i of dpre lies in d.
fn place(i: u32) -> u32 {
  let gate = i / p.hidden;
  let row = gate / 4u;
  let step = row / p.rows;
  return ((step * 12u + gate % 4u) * p.rows + row % p.rows) * p.hidden + i % p.hidden;
}

fn scale(i: u32) -> vec2<f32> {
  let j = place(i);
  let k = j + 4u * p.rows * p.hidden;
  return vec2<f32>(d[j / 4u][j % 4u], d[k / 4u][k % 4u]);
}

// Element i of each kind of dd, counted through the steps as if there were one kind.
fn product(i: u32) -> vec3<f32> {
  let row = i / p.hidden;
  let gate = row / p.rows;
  let j = (((gate / 4u) * p.rows + row % p.rows) * 4u + gate % 4u) * p.hidden + i % p.hidden;
  let dy = dpre[j / 4u][j % 4u];
  return vec3<f32>(dy * hg[j / 4u][j % 4u], dy * xg[j / 4u][j % 4u], dy);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let q = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (q >= p.vectors) { return; }
  let i = q * 4u;
  let kind = p.rows * p.hidden; // vectors from one kind to the next
  let dy = dpre[q];
  if (VECTORS) {
    let j = place(i) / 4u;
    dhg[q] = d[j] * dy;
    dxg[q] = d[j + kind] * dy;
    dd[j] = dy * hg[q];
    dd[j + kind] = dy * xg[q];
    dd[j + 2u * kind] = dy;
  } else {
    let s0 = scale(i);
    let s1 = scale(i + 1u);
    let s2 = scale(i + 2u);
    let s3 = scale(i + 3u);
    dhg[q] = vec4<f32>(s0.x, s1.x, s2.x, s3.x) * dy;
    dxg[q] = vec4<f32>(s0.y, s1.y, s2.y, s3.y) * dy;
    let j = q + (q / kind) * 2u * kind;
    let d0 = product(i);
    let d1 = product(i + 1u);
    let d2 = product(i + 2u);
    let d3 = product(i + 3u);
    dd[j] = vec4<f32>(d0.x, d1.x, d2.x, d3.x);
    dd[j + kind] = vec4<f32>(d0.y, d1.y, d2.y, d3.y);
    dd[j + 2u * kind] = vec4<f32>(d0.z, d1.z, d2.z, d3.z);
  }
}
