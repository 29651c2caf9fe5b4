/** Lets a loop sleep until something may have changed. Ringing while nobody sleeps does nothing: the loop looks before it sleeps. */
export class Wake {
  #sleeping: PromiseWithResolvers<void> | undefined;

  ring(): void {
    this.#sleeping?.resolve();
    this.#sleeping = undefined;
  }

  next(): Promise<void> {
    this.#sleeping ??= Promise.withResolvers<void>();
    return this.#sleeping.promise;
  }
}
