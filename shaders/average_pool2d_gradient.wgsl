// Gradient of average pooling: dx[n, h, w] = sum of dy[n, i, j] / count(i, j) over the windows
// (i, j) over (h, w), count being what pool2d divided by. dx [planes, height, width],
// dy [planes, out_height, out_width]. One input element an invocation, in a fixed order.
override WORKGROUP: u32 = 64u;
override COUNT_PADDING: bool = true;

struct Params {
  count: u32, // inputs
  height: u32,
  width: u32,
  out_height: u32,
  out_width: u32,
  size_h: u32,
  size_w: u32,
  stride_h: u32,
  stride_w: u32,
  pad_top: u32,
  pad_left: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

fn epilogue(x: f32, i: u32) -> f32 { return x; }

// Elements of the window number k along an axis that lie in the image.
fn covered(k: u32, size: u32, stride: u32, pad: u32, length: u32) -> u32 {
  return min(k * stride + size, length + pad) - max(k * stride, pad);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (i >= p.count) { return; }
  let line = i / p.width;
  let plane = line / p.height;
  let h = line % p.height + p.pad_top;
  let w = i % p.width + p.pad_left;
  let first_row = select(0u, (h - min(h, p.size_h)) / p.stride_h + 1u, h >= p.size_h);
  let first_column = select(0u, (w - min(w, p.size_w)) / p.stride_w + 1u, w >= p.size_w);
  let end_row = min(h / p.stride_h + 1u, p.out_height);
  let end_column = min(w / p.stride_w + 1u, p.out_width);
  var sum = 0.0;
  for (var row = first_row; row < end_row; row++) {
    let start = (plane * p.out_height + row) * p.out_width;
    let rows = select(
      covered(row, p.size_h, p.stride_h, p.pad_top, p.height), p.size_h, COUNT_PADDING);
    var part = 0.0;
    for (var column = first_column; column < end_column; column++) {
      let columns = select(
        covered(column, p.size_w, p.stride_w, p.pad_left, p.width), p.size_w, COUNT_PADDING);
      part += dy[start + column] / f32(rows * columns);
    }
    sum += part;
  }
  dx[i] = epilogue(sum, i);
}
