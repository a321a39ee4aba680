/**
 * A picture of the clipboard, small: its bytes come over the session like everything else and are drawn on a canvas, so
 * the page's policy allows pictures of nowhere. PNG alone, and only of a size that a browser takes without harm.
 */
import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { ClipItem } from '../../peer/api.ts'
import { formatSize } from '../../base/quantities.ts'
import type { ClipPiece } from '../../peer/api-clipboard.ts'
import { commandLine } from './format.ts'
import { Action, Fault } from './parts.tsx'
import { stream } from './session.ts'

export const pngType = 'image/png'
/** Shown as soon as it comes into view; longer ones when somebody asks. */
const shownBytes = 1024 * 1024
const pixelsMax = 64_000_000
const [widthMax, heightMax] = [320, 200]

/** The bytes of one format of an item. @throws ConsoleError. */
export async function loadContent(
  id: string,
  type: string,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = []
  const path = `/clipboard/content?${new URLSearchParams({ id, type }).toString()}`
  for await (const { data } of stream(path, { signal })) {
    const piece = data as ClipPiece // because: the console's own answer
    if (piece.kind === 'piece') parts.push(Uint8Array.from(atob(piece.base64), (one) => one.charCodeAt(0)))
  }
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.byteLength
  }
  return whole
}

async function draw(canvas: HTMLCanvasElement, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  // Width and height stand at the start; a picture may claim to be far larger than its bytes
  const view = new DataView(bytes.buffer)
  const pixels = bytes.byteLength < 24 ? Infinity : view.getUint32(16) * view.getUint32(20)
  if (!(pixels <= pixelsMax)) throw new Error('this picture is too large to be shown')
  const bitmap = await createImageBitmap(new Blob([bytes], { type: pngType })).catch(() => {
    throw new Error('this is no picture')
  })
  const scale = Math.min(1, widthMax / bitmap.width, heightMax / bitmap.height)
  canvas.width = Math.max(1, Math.round(bitmap.width * scale))
  canvas.height = Math.max(1, Math.round(bitmap.height * scale))
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0, canvas.width, canvas.height)
  bitmap.close()
}

export function ClipImage({ item }: { readonly item: ClipItem }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null)
  const [isShown, setShown] = useState(false)
  const [error, setError] = useState<unknown>()
  const show = async (signal: AbortSignal): Promise<void> => {
    const bytes = await loadContent(item.id, pngType, signal)
    if (canvas.current !== null) await draw(canvas.current, bytes)
    setShown(true)
  }
  useEffect(() => {
    const element = canvas.current
    if (element === null || item.sizeBytes > shownBytes) return
    const controller = new AbortController()
    const watch = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return
      watch.disconnect()
      show(controller.signal).catch((fault: unknown) => controller.signal.aborted || setError(fault))
    })
    watch.observe(element)
    return () => {
      watch.disconnect()
      controller.abort()
    }
  }, [item.id])
  return (
    <>
      <canvas ref={canvas} class="picture" role="img" aria-label="a copied picture" width={64} height={40} />
      {!isShown && item.sizeBytes > shownBytes && (
        <Action
          isQuiet
          label={`Show the picture (${formatSize(item.sizeBytes)})`}
          cli={`${commandLine('clip', 'get', item.id, '--type', pngType)} > picture.png`}
          run={() => show(new AbortController().signal)}
        />
      )}
      <Fault error={error} />
    </>
  )
}
