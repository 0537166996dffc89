#pragma once

#include <cstdint>

#include "cpu/conv_rows.h"
#include "cpu/types.h"

// Winograd's F(2x2, 3x3): a tile of 2 x 2 outputs sees 4 x 4 inputs d and is A^T [(G g G^T) . (B^T d B)] A, with 16
// products per channel and filter instead of 36. Summed over channels they are 16 matrix products [tiles][cin] x
// [cin][cout].
namespace chainrule::cpu {

constexpr int64_t kWinogradPoints = 16;

// 3 x 3, one step at a time.
constexpr bool winogradTakes(const ConvShape& s) {
  return s.groups == 1 && s.kh == 3 && s.kw == 3 && s.strideH == 1 && s.strideW == 1 && s.dilationH == 1 &&
         s.dilationW == 1;
}
constexpr int64_t winogradTileRows(const ConvShape& s) { return (s.oh + 1) / 2; }  // of an image
constexpr int64_t winogradTileColumns(const ConvShape& s) { return (s.ow + 1) / 2; }
// Floats between the rows of a transformed input.
constexpr int64_t winogradPitch(const ConvShape& s) { return convPitch(s.cin); }
// Floats between the points of so many tiles.
constexpr int64_t winogradStep(const ConvShape& s, int64_t tiles) { return convPitch(tiles * winogradPitch(s)); }

// Tiles and panels whose products are made before they are transformed: they stay in L2, in L1 nearly.
constexpr int64_t kWinogradTiles = 60, kWinogradPanels = 2;
constexpr int64_t winogradScratchBytes() {
  return kWinogradPoints * convPitch(kWinogradTiles * kWinogradPanels * kPanel) * 4;
}

// The filter's gradient is G^T (sum over tiles of (B^T d B) . (A dy A^T)) G: 16 products [cin][tiles] x [tiles][cout].
// winogradBackwardFilter cuts the tiles into `chunks` and the panels into `blocks`.
struct WinogradSplit {
  int64_t chunks = 1, blocks = 1;
  constexpr int64_t items() const { return chunks * blocks; }
};
constexpr WinogradSplit winogradFilterSplit(const ConvShape& s) {
  // Every block transforms the input anew, so it has four panels. About 16 items for a team; chunks of 64 tiles or
  // more, which together take at most 8 MB.
  const int64_t panels = panelCount(s.cout), tiles = s.n * winogradTileRows(s) * winogradTileColumns(s);
  WinogradSplit split;
  split.blocks = (panels + 3) / 4;
  const int64_t limits[] = {16 / split.blocks, tiles / 64, (int64_t(2) << 20) / (9 * s.cin * panels * kPanel)};
  split.chunks = 16;
  for (int64_t limit : limits) split.chunks = limit < split.chunks ? limit : split.chunks;
  if (split.chunks < 1) split.chunks = 1;
  return split;
}
// Tiles that are transformed before they are multiplied.
constexpr int64_t kWinogradSumTiles = 96;
constexpr int64_t winogradFilterScratchBytes(const ConvShape& s) {
  const int64_t panels = (panelCount(s.cout) + winogradFilterSplit(s).blocks - 1) / winogradFilterSplit(s).blocks;
  return kWinogradPoints * 4 *
             (winogradStep(s, kWinogradSumTiles) + convPitch(panels * kWinogradSumTiles * kPanel) +
              convPitch(panels * s.cin * kPanel)) +
         (s.cin + 15) / 16 * 64;
}

}  // namespace chainrule::cpu
