// A small line of closes on a canvas.

/** Draw closes (numbers) into a canvas, in the colour of their direction. */
export function sparkline(canvas, closes) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [96, 22];
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  if (closes.length < 2) return;
  const low = Math.min(...closes), span = Math.max(...closes) - low || 1;
  context.strokeStyle = getComputedStyle(canvas).color;
  context.lineWidth = 1.25;
  context.beginPath();
  closes.forEach((close, at) => {
    const x = (at / (closes.length - 1)) * (width - 2) + 1;
    const y = height - 2 - ((close - low) / span) * (height - 4);
    if (at) context.lineTo(x, y);
    else context.moveTo(x, y);
  });
  context.stroke();
}
