// Max pooling by 2x2 windows, stride 2, no padding, of images of even height and width: the
// case that networks consist of. x [lines, 2, out_width] pairs of columns, with lines =
// N*C*H/2, y [lines, out_width]. A line of windows is two rows of x, so that one division finds
// everything and two loads read a window; NaN wins as in pool2d. One window an invocation.
override WORKGROUP: u32 = 64u;

struct Params {
  outputs: u32,
  out_width: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

fn epilogue(x: f32, i: u32) -> f32 { return x; }

fn nan_bits(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }

fn larger(u: f32, v: f32) -> f32 { return select(u, v, nan_bits(v) || (v > u && !nan_bits(u))); }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (i >= p.outputs) { return; }
  // i + line * out_width = 2 line * out_width + column.
  let corner = i + i / p.out_width * p.out_width;
  let above = x[corner];
  let below = x[corner + p.out_width];
  y[i] = epilogue(larger(larger(above.x, above.y), larger(below.x, below.y)), i);
}
