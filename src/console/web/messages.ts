/** Reads server-sent events from a response: `EventSource` cannot send the header that a session needs. */

export interface Message {
  readonly event: string
  readonly id?: string
  readonly data: unknown
}

export async function* readMessages(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Message> {
  let text = ''
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      text += value
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const message = parse(text.slice(0, end))
        text = text.slice(end + 2)
        if (message !== undefined) yield message
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

function parse(block: string): Message | undefined {
  const fields = new Map<string, string>()
  for (const line of block.split('\n')) {
    const colon = line.indexOf(': ')
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 2))
  }
  const [event, id, data] = [fields.get('event'), fields.get('id'), fields.get('data')]
  if (event === undefined || data === undefined) return undefined
  return { event, data: JSON.parse(data), ...(id !== undefined && { id }) }
}
