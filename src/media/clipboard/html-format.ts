/** Windows' "HTML Format": HTML behind a header of decimal byte offsets. Source: "HTML Clipboard Format", Microsoft. */

const fragmentStart = '<!--StartFragment-->'
const fragmentEnd = '<!--EndFragment-->'
const digits = 10

export function buildHtmlFormat(html: Uint8Array): Uint8Array {
  const [before, after] = ['<html><body>\r\n' + fragmentStart, fragmentEnd + '\r\n</body></html>']
  const describe = (offsets: readonly number[]): string => {
    const [startHtml, endHtml, startFragment, endFragment] = offsets.map((offset) =>
      String(offset).padStart(digits, '0'),
    )
    return `Version:0.9\r\nStartHTML:${startHtml}\r\nEndHTML:${endHtml}\r\nStartFragment:${startFragment}\r\nEndFragment:${endFragment}\r\n`
  }
  const headBytes = describe([0, 0, 0, 0]).length
  const startFragment = headBytes + before.length
  const endFragment = startFragment + html.byteLength
  const head = describe([headBytes, endFragment + after.length, startFragment, endFragment])
  return new Uint8Array(Buffer.concat([Buffer.from(head + before), html, Buffer.from(after)]))
}

/** The fragment that was copied; all behind the header, or all there is, where the offsets are wrong. */
export function parseHtmlFormat(content: Uint8Array): Uint8Array {
  const head = Buffer.from(content.subarray(0, 1024)).toString('latin1')
  const offsetOf = (name: string): number => {
    const found = new RegExp(`^${name}:(-?\\d{1,10})\\s*$`, 'm').exec(head)
    return found === null ? -1 : Number(found[1])
  }
  for (const name of ['Fragment', 'HTML']) {
    const [start, end] = [offsetOf(`Start${name}`), offsetOf(`End${name}`)]
    if (start > 0 && start < end && end <= content.byteLength) return content.subarray(start, end)
  }
  const body = head.indexOf('<')
  return body < 0 ? content : content.subarray(body)
}
