// A small line of closes on a canvas.

/** Draw points, each [share of the width, close], ascending, into a canvas in its colour. */
export function sparkline(canvas, points) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [96, 22];
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  if (points.length < 2) return;
  const closes = points.map(([, close]) => close);
  const low = Math.min(...closes), span = Math.max(...closes) - low || 1;
  context.strokeStyle = getComputedStyle(canvas).color;
  context.lineWidth = 1.25;
  context.beginPath();
  points.forEach(([share, close], at) => {
    const x = share * (width - 2) + 1;
    const y = height - 2 - ((close - low) / span) * (height - 4);
    if (at) context.lineTo(x, y);
    else context.moveTo(x, y);
  });
  context.stroke();
}
