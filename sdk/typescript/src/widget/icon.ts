/** The mark of static/icon.svg, drawn in the document: a website's policy may load no image. */
export function icon(): SVGElement {
  const svg = shape('svg', { viewBox: '0 0 32 32', 'aria-hidden': 'true' });
  svg.append(
    shape('rect', { x: '1', y: '1', width: '30', height: '30', rx: '7' }),
    shape('circle', { cx: '16', cy: '13', r: '5.5' }),
    shape('path', { d: 'M16 18.5V26M16 24h4.5' }),
  );
  return svg;
}

function shape(name: string, attributes: Record<string, string>): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
