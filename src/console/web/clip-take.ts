/** From the clipboard of the browser's desktop onto the one of the mesh, on a person's click: a picture, else the text. */
import { limits } from '../../base/limits.ts'
import { pngType } from './clip-image.tsx'
import { call } from './session.ts'

/** @throws what the browser says when it is not allowed to, or when there is nothing that can be taken. */
export async function takeClipboard(): Promise<void> {
  const items = await navigator.clipboard.read()
  const picture = items.find(({ types }) => types.includes(pngType))
  if (picture !== undefined) return await sendPicture(await picture.getType(pngType))
  const text = await navigator.clipboard.readText()
  if (text === '') throw new Error('This browser’s clipboard holds no text and no picture.')
  await call('POST', '/clipboard', { text })
}

async function sendPicture(picture: Blob): Promise<void> {
  let upload: string | undefined
  for (let offset = 0; offset < picture.size; offset += limits.clipboardPieceBytes) {
    const base64 = await toBase64(picture.slice(offset, offset + limits.clipboardPieceBytes))
    const piece = { base64, ...(upload !== undefined && { upload }) }
    upload = (await call<{ readonly upload: string }>('POST', '/clipboard/uploads', piece)).upload
  }
  await call('POST', '/clipboard', { upload, type: pngType })
}

/** Through a data URL: the one way to base64 that every browser has and that takes large contents. */
const toBase64 = (piece: Blob): Promise<string> =>
  new Promise((resolve, reject) => {
    const reader = new FileReader()
    reader.addEventListener('load', () => {
      const url = typeof reader.result === 'string' ? reader.result : ''
      resolve(url.slice(url.indexOf(',') + 1))
    })
    reader.addEventListener('error', () => reject(reader.error ?? new Error('the picture cannot be read')))
    reader.readAsDataURL(piece)
  })
