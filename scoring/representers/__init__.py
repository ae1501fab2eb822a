"""Representer points: which training examples a prediction is made of.

    W f_t = sum_i alpha_i (f_i . f_t),     alpha_i = -(s(W f_i) - a_i) / (2 lambda N)

for a linear layer W [C, D] at rest under an L2 penalty lambda. f_i are the features of training
row i, the inputs of that layer, with a constant 1 if it has a bias; s is the activation after the
layer, and a_i the target for that activation (`losses`). The representer value alpha_ic (f_i . f_t)
is what row i adds to output c of test row t: above 0 excitatory, below 0 inhibitory.

Source: Yeh, Kim, Yen & Ravikumar, "Representer Point Selection for Explaining Deep Neural
Networks", NeurIPS 2018, arXiv:1811.09720, section 3.
"""
