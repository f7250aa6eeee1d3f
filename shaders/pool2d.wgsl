// Pooling: the largest element of each window or, with MEAN, their mean. x [planes, height, width] with
// planes = N*C, y [planes, out_height, out_width]: y[n, i, j] of the window that starts at
// (i * stride_h - pad_top, j * stride_w - pad_left), cut to the image. NaN wins over every number. The
// mean divides by size_h * size_w (COUNT_PADDING) or by the number of elements left in the image.
// One output an invocation; the windows share few loads, so nothing is staged.
override WORKGROUP: u32 = 64u;
override MEAN: bool = false;
override COUNT_PADDING: bool = true;

struct Params {
  count: u32, // outputs
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

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

fn epilogue(x: f32, i: u32) -> f32 { return x; }

fn nan_bits(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (i >= p.count) { return; }
  let column = i % p.out_width;
  let line = i / p.out_width;
  let row = line % p.out_height;
  let plane = line / p.out_height;
  // Window in padded coordinates, then cut to the image.
  let top = max(row * p.stride_h, p.pad_top) - p.pad_top;
  let bottom = min(row * p.stride_h + p.size_h, p.height + p.pad_top) - p.pad_top;
  let left = max(column * p.stride_w, p.pad_left) - p.pad_left;
  let right = min(column * p.stride_w + p.size_w, p.width + p.pad_left) - p.pad_left;
  var best = x[(plane * p.height + top) * p.width + left];
  var sum = 0.0;
  for (var h = top; h < bottom; h++) {
    let start = (plane * p.height + h) * p.width;
    // A sum for each line first: rounding grows with the window's side, not its area.
    var part = 0.0;
    for (var w = left; w < right; w++) {
      let v = x[start + w];
      if (MEAN) {
        part += v;
      } else if (nan_bits(v) || (v > best && !nan_bits(best))) {
        best = v;
      }
    }
    sum += part;
  }
  if (MEAN) {
    let count = select((bottom - top) * (right - left), p.size_h * p.size_w, COUNT_PADDING);
    best = sum / f32(count);
  }
  y[i] = epilogue(best, i);
}
