/** A QR code as text, two modules a character cell. Light modules are drawn, so it scans on dark terminals too. */
import { generate } from 'lean-qr'

const marginModules = 2

/** @param hasColour sets black and white by escape sequence, so that the terminal's own colours do not matter. */
export function drawQrCode(
  text: string,
  hasColour: boolean,
): { readonly lines: readonly string[]; readonly columns: number } {
  const code = generate(text)
  const lines: string[] = []
  for (let y = -marginModules; y < code.size + marginModules; y += 2) {
    let line = ''
    for (let x = -marginModules; x < code.size + marginModules; x++) {
      const [isTopDark, isBottomDark] = [code.get(x, y), code.get(x, y + 1)]
      line += isTopDark ? (isBottomDark ? ' ' : '▄') : isBottomDark ? '▀' : '█'
    }
    lines.push(hasColour ? `\u001b[97;40m${line}\u001b[0m` : line)
  }
  return { lines, columns: code.size + 2 * marginModules }
}
