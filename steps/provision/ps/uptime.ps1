# How long the machine has been up, in ms: setting its clock does not change that.
up
