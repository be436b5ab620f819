"""The nine limbs whose direction decides a kernel's orientation bin (3DNBF, section 3.2)."""

LIMBS = (
    "torso",
    "left_lower_arm",
    "left_upper_arm",
    "left_thigh",
    "left_calf",
    "right_lower_arm",
    "right_upper_arm",
    "right_thigh",
    "right_calf",
)

# Start and end of each limb's direction, as indices into OpenPose-25.
LIMB_JOINTS = ((8, 1), (6, 7), (5, 6), (12, 13), (13, 14), (3, 4), (2, 3), (9, 10), (10, 11))
