import numpy as np

from raybead.observables import spread_about_axis


def test_spreads_equal_their_definition():
    rng = np.random.default_rng(0)
    sizes = [3, 1, 12]
    offsets = np.array([0, *np.cumsum(sizes)])
    pt, eta, phi = rng.uniform(1, 90, 16), rng.normal(0, 0.3, 16), rng.uniform(2.9, 3.4, 16)
    phi = np.where(phi > np.pi, phi - 2 * np.pi, phi)  # jets about phi = pi
    axis_eta, axis_phi = np.zeros(3), np.array([3.1, -3.1, np.pi])
    spread = spread_about_axis(pt, eta, phi, axis_eta, axis_phi, offsets)
    for jet in range(3):
        width = weight = moment = 0.0
        for i in range(offsets[jet], offsets[jet + 1]):
            turn = phi[i] - axis_phi[jet]
            d_phi = np.arctan2(np.sin(turn), np.cos(turn))
            d_r = np.hypot(eta[i] - axis_eta[jet], d_phi)
            width += pt[i] * d_r
            weight += pt[i]
            moment += (pt[i] * d_r) ** 2
        np.testing.assert_allclose(spread.width[jet], width / weight)
        np.testing.assert_allclose(spread.moment[jet], moment / sizes[jet])
