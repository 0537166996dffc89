/** Keras writes `beta_1`; rules cannot tell it from `l1`, so the few option names with digits stand here. */
const irregular: Record<string, string> = {
  beta1: 'beta_1',
  beta2: 'beta_2',
  beta2Decay: 'beta_2_decay',
  epsilon1: 'epsilon_1',
  epsilon2: 'epsilon_2',
};
const irregularBack = new Map(Object.entries(irregular).map(([camel, snake]) => [snake, camel]));

/** `kernelInitializer` → `kernel_initializer`, the key in Keras's config. */
export function snakeCase(option: string): string {
  return irregular[option] ?? option.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** `kernel_initializer` → `kernelInitializer`. */
export function camelCase(key: string): string {
  return irregularBack.get(key) ?? key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** `MaxPooling2D` → `max_pooling2d`, as Keras names layers and metrics by their class. */
export function snakeClass(className: string): string {
  const words = className.replace(/\W+/g, '').replace(/(.)([A-Z][a-z]+)/g, '$1_$2');
  return words.replace(/([a-z])([A-Z])/g, '$1_$2').toLowerCase();
}

const used = new Map<string, number>();

/** `dense`, `dense_1`, `dense_2`, … : names are unique in a process, as in Keras. */
export function uniqueName(base: string): string {
  const count = used.get(base) ?? 0;
  used.set(base, count + 1);
  return count === 0 ? base : `${base}_${count}`;
}

/** The first free name among those in use: `base`, `base_1`, … */
export function freeName(base: string, taken: { has(name: string): boolean }): string {
  let name = base;
  for (let k = 1; taken.has(name); k++) name = `${base}_${k}`;
  return name;
}
