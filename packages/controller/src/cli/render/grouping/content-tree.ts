/**
 * Contents, each kept once. A content is a path of blocks from the root; contents with the same beginning share its blocks, and equal
 * contents end in the same node. A new host's output thus costs nothing as long as it says what another one has said before.
 *
 *            ┌─ block ── block ── last          web1, web2
 *     root ──┤
 *            └─ block ── last                   web3
 *
 * Two blocks are the same when their kind and their SHA-256 are, behind the same node. The tree itself is a table of numbers: 60 to 110
 * bytes for each block of up to 4 KiB, as objects it would be several times that.
 */
import { hash } from "node:crypto";
import { Spool, type SpoolOptions } from "./spool.ts";

/** A block of a content that goes on, in bytes: what is held of each stream until there is a whole one. */
export const blockBytes = 4 * 1024;

/** The end of a content so far. */
export type Node = number;
export const root: Node = 0;

/** Output, or a note of ours in its place among it (bytes that are missing). */
export type BlockKind = "output" | "note";

export interface Block {
  readonly kind: BlockKind;
  readonly bytes: Buffer;
}

const digestBytes = 32;
/** At most so full is the table of children. */
const maxLoad = 0.6;

export class ContentTree implements AsyncDisposable {
  readonly #spool: Spool;
  #count = 1;
  #parents = new Uint32Array(1024);
  #lengths = new Uint16Array(1024);
  #notes = new Uint8Array(1024);
  #addresses = new Float64Array(1024);
  #digests = Buffer.alloc(1024 * digestBytes);
  /** Node by parent, kind and digest, with open addressing; 0 is free. */
  #children = new Uint32Array(2048);

  constructor(options: SpoolOptions = {}) {
    this.#spool = new Spool(options);
  }

  /** How many bytes of contents it has kept. */
  get storedBytes(): number {
    return this.#spool.size;
  }

  /** How many bytes of memory it has taken. */
  get heldBytes(): number {
    const tables = [
      this.#parents,
      this.#lengths,
      this.#notes,
      this.#addresses,
      this.#digests,
      this.#children,
    ];
    return tables.reduce((sum, { byteLength }) => sum + byteLength, this.#spool.heldBytes);
  }

  /** Where the content that ends at `parent` goes on with this block, of at most `blockBytes`. Not to be called again before it has
   * resolved. @throws OutpostError `limit_exceeded` */
  async follow(parent: Node, kind: BlockKind, bytes: Uint8Array): Promise<Node> {
    const digest = hash("sha256", bytes, "buffer");
    const slot = this.#slot(parent, kind, digest);
    const known = this.#children[slot]!;
    if (known !== 0) return known;
    const address = await this.#spool.append(bytes);
    return this.#add(slot, { parent, kind, digest, length: bytes.byteLength, address });
  }

  /** The blocks of a content, in order, several of output joined into larger ones. */
  *read(leaf: Node): Generator<Block, void, void> {
    const path: Node[] = [];
    for (let node = leaf; node !== root; node = this.#parents[node]!) path.push(node);
    path.reverse();
    for (let at = 0; at < path.length;) {
      const first = path[at]!;
      const kind: BlockKind = this.#notes[first] === 1 ? "note" : "output";
      const blocks: Node[] = [first];
      at++;
      while (
        kind === "output" &&
        at < path.length &&
        blocks.length < maxJoined &&
        this.#notes[path[at]!] === 0
      ) {
        blocks.push(path[at++]!);
      }
      yield { kind, bytes: Buffer.concat(blocks.map((node) => this.#bytes(node))) };
    }
  }

  /** How long a content is, notes left out, in bytes. */
  size(leaf: Node): number {
    let bytes = 0;
    for (let node = leaf; node !== root; node = this.#parents[node]!) {
      if (this.#notes[node] === 0) bytes += this.#lengths[node]!;
    }
    return bytes;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#spool[Symbol.asyncDispose]();
  }

  #bytes(node: Node): Buffer {
    return this.#spool.read(this.#addresses[node]!, this.#lengths[node]!);
  }

  #add(
    slot: number,
    {
      parent,
      kind,
      digest,
      length,
      address,
    }: { parent: Node; kind: BlockKind; digest: Buffer; length: number; address: number },
  ): Node {
    const node = this.#count++;
    if (node === this.#parents.length) this.#growNodes();
    this.#parents[node] = parent;
    this.#lengths[node] = length;
    this.#notes[node] = kind === "note" ? 1 : 0;
    this.#addresses[node] = address;
    this.#digests.set(digest, node * digestBytes);
    this.#children[slot] = node;
    if (this.#count > this.#children.length * maxLoad) this.#growChildren();
    return node;
  }

  /** Where the child is, or would be. */
  #slot(parent: Node, kind: BlockKind, digest: Buffer): number {
    const note = kind === "note" ? 1 : 0;
    const mask = this.#children.length - 1;
    let slot = start(parent, digest.readUInt32LE(0)) & mask;
    for (;;) {
      const node = this.#children[slot]!;
      if (node === 0) return slot;
      const at = node * digestBytes;
      const isSame =
        this.#parents[node] === parent &&
        this.#notes[node] === note &&
        digest.compare(this.#digests, at, at + digestBytes) === 0;
      if (isSame) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #growNodes(): void {
    const size = this.#parents.length * 2;
    this.#parents = grown(this.#parents, new Uint32Array(size));
    this.#lengths = grown(this.#lengths, new Uint16Array(size));
    this.#notes = grown(this.#notes, new Uint8Array(size));
    this.#addresses = grown(this.#addresses, new Float64Array(size));
    this.#digests = grown(this.#digests, Buffer.alloc(size * digestBytes));
  }

  #growChildren(): void {
    this.#children = new Uint32Array(this.#children.length * 2);
    const mask = this.#children.length - 1;
    for (let node = 1; node < this.#count; node++) {
      let slot = start(this.#parents[node]!, this.#digests.readUInt32LE(node * digestBytes)) & mask;
      while (this.#children[slot] !== 0) slot = (slot + 1) & mask;
      this.#children[slot] = node;
    }
  }
}

/** How many blocks are read at once: a quarter of a MiB. */
const maxJoined = 64;

/** Where the search for a child begins. A digest is as good as random; the parent keeps apart who says the same at another place. */
function start(parent: Node, digest: number): number {
  return (digest ^ Math.imul(parent, 0x9e3779b1)) >>> 0;
}

function grown<T extends Uint8Array | Uint16Array | Uint32Array | Float64Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
