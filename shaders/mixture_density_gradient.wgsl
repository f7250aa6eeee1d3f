// Gradient of mixture_density.wgsl by its raw outputs, one component of one row an invocation.
//
// raw, draw [rows, 6 M + 1], points [rows, 3], logs [rows, M], stats [rows] and the symbols as
// there; dnll [rows]. With g = exp(logs - max) / sum, the part of component j in the likelihood,
// c = cosh(r), t = c (u - s v), gu = c t + s v (1 + q) / 2 and gv = -s c t + s u (1 + q) / 2:
//   d pi_hat = pi - g           d mu1 = -g gu / sigma1          d mu2 = -g gv / sigma2
//   d log sigma1 = -g (u gu - 1)  d log sigma2 = -g (v gv - 1)  d r = -g (rho (1 - t^2) + q u v)
// and d e_hat = e - x3, each times dnll. A component of no part, and a row with dnll = 0, give 0,
// whatever overflows there.
override WORKGROUP: u32 = 64u;

struct Params {
  rows: u32,
  components: u32,
}

@group(0) @binding(0) var<storage, read> raw: array<f32>;
@group(0) @binding(1) var<storage, read> points: array<f32>;
@group(0) @binding(2) var<storage, read> logs: array<f32>;
@group(0) @binding(3) var<storage, read> stats: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> dnll: array<f32>;
@group(0) @binding(5) var<storage, read_write> draw: array<f32>;
@group(0) @binding(6) var<uniform> p: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let m = p.components;
  let i = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  let row = i / m;
  if (row >= p.rows) { return; }
  let j = i - row * m;
  let start = row * (6u * m + 1u);
  let at = start + 1u + j;
  let dy = dnll[row];
  let live = dy != 0.0;
  let st = stats[row];

  // 0 where the quotient underflows, which exp of an adapter may leave at the smallest number.
  let z = logs[i] - st.x;
  let part = select(exp(z) * st.y, 0.0, z < -87.0);
  let pi = exp(raw[at] - st.z) * st.w;
  draw[at] = select(0.0, dy * (pi - part), live);

  let g = -dy * part;
  let s1 = exp(-raw[at + 3u * m]);
  let s2 = exp(-raw[at + 4u * m]);
  let u = (points[row * 3u] - raw[at + m]) * s1;
  let v = (points[row * 3u + 1u] - raw[at + 2u * m]) * s2;
  let r = raw[at + 5u * m];
  let s = select(1.0, -1.0, r < 0.0);
  let q = exp(-2.0 * abs(r));
  let d = u - s * v;
  let c = select(0.5 * (1.0 + q) * exp(abs(r)), 0.0, d == 0.0);
  let t = c * d;
  let gu = c * t + 0.5 * s * v * (1.0 + q);
  let gv = 0.5 * s * u * (1.0 + q) - s * c * t;
  let rho = s * (1.0 - q) / (1.0 + q);
  let inside = live && part != 0.0;
  draw[at + m] = select(0.0, g * gu * s1, inside);
  draw[at + 2u * m] = select(0.0, g * gv * s2, inside);
  draw[at + 3u * m] = select(0.0, g * (u * gu - 1.0), inside);
  draw[at + 4u * m] = select(0.0, g * (v * gv - 1.0), inside);
  draw[at + 5u * m] = select(0.0, g * (rho * (1.0 - t * t) + q * u * v), inside);

  if (j == 0u) {
    let e = raw[start];
    let small = exp(-abs(e));
    let sigmoid = select(1.0, small, e < 0.0) / (1.0 + small);
    // NaN in the row, of which exp may make a number, is kept in its stats.
    let broken = (bitcast<u32>(st.y) & 0x7fffffffu) > 0x7f800000u;
    let de = select(sigmoid - points[row * 3u + 2u], st.y, broken);
    draw[start] = select(0.0, dy * de, live);
  }
}
